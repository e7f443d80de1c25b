datacenters = ["ams", "fra"]
server_config {
  enable_tls = false
  route_rule {
    name           = "operators"
    method         = "*"
    route_patterns = ["/v1/workflows/*/executions", "/"]
    uris           = ["spiffe://example.org/ops"]
    allow_public   = false
    skip_log_match = false
  }
}
temporal {
  namespace = "default"
  address   = "[::1]:7233"
  http_url  = "https://temporal.example.org/api"
}
