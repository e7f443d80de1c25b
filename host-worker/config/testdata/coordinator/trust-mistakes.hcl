# expect 10:21 server_config.trust_domains[0]: expected a trust domain such as example.org
# expect 11:20 server_config.worker_id: expected a SPIFFE ID with {node} as one of its segments, such as spiffe://example.org/worker/{node}
# expect 12:25 server_config.requests_per_second: must be at least 1
# expect 17:23 server_config.route_rule[0].uris[0]: expected a SPIFFE ID such as spiffe://example.org/admin, one that ends in "/*", webhook:<name>, slack:<workspace>/<user> or slack:<workspace>/*
# expect 20:1 webhook.ci.secret_env: is required
# expect 23:17 webhook.both.secret_file: secret_env and secret_file are mutually exclusive
datacenter = "dc1"
server_config {
  enable_tls = true
  trust_domains  = ["Example.org"]
  worker_id      = "spiffe://example.org/{node}-worker"
  requests_per_second = "0"
  route_rule {
    name           = "a"
    method         = "GET"
    route_patterns = ["/*"]
    uris           = ["spiffe://example.org/*/x"]
  }
}
webhook "ci" {}
webhook "both" {
  secret_env  = "X"
  secret_file = "/x"
}
