import pytest

from invoker_ext.containers.limits import PoolLimits, host_memory_mb


def test_memory_for_containers_is_three_quarters_of_what_is_available(tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9000000 kB\nMemAvailable:    4194304 kB\n")
    assert host_memory_mb(meminfo, tmp_path / "none") == 3072


@pytest.mark.parametrize(("limit", "expected"), [("2147483648\n", 1536), ("max\n", 3072), ("1048576\n", 512)])
def test_the_limit_of_the_control_group_counts(tmp_path, limit, expected):
    meminfo, cgroup = tmp_path / "meminfo", tmp_path / "memory.max"
    meminfo.write_text("MemAvailable:    4194304 kB\n")
    cgroup.write_text(limit)
    assert host_memory_mb(meminfo, cgroup) == expected


@pytest.mark.parametrize("change", [{"memory_mb": 0}, {"cores": 0}, {"undrained": 0}, {"pass_s": -1.0}])
def test_bounds_that_no_pool_can_keep_are_refused(change):
    with pytest.raises(ValueError, match="must"):
        PoolLimits(**{"memory_mb": 256, "cores": 1, **change})
