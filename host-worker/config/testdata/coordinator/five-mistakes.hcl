# expect 7:1 datacenter: is set already, line 6
# expect 9:3 server_config.workerid: unknown key; did you mean "worker_id"?
# expect 10:3 server_config.route_rule[0].method: is required
# expect 12:29 server_config.route_rule[0].route_patterns[1]: expected a path that begins with "/"
# expect 18:16 server_config.route_rule[1].uris: expected a list of SPIFFE IDs
datacenter = "dc1"
datacenter = "dc2"
server_config {
  workerid = "spiffe://example.org/worker/{node}"
  route_rule {
    name           = "no method"
    route_patterns = ["/*", "metrics"]
  }
  route_rule {
    name           = "one URI"
    method         = "GET"
    route_patterns = ["/*"]
    uris =     "spiffe://example.org/ops"
  }
}
