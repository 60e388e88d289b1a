"""The stock action interface: `/init` and `/run` over HTTP, logs closed by sentinels. Used where there is no relay."""
