"""The controller: OpenWhisk's REST API, front ends of workflows, the balancer, and the console script."""
