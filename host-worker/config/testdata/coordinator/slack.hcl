# expect 8:44 server_config.route_rule[0].uris[1]: expected a SPIFFE ID such as spiffe://example.org/admin, one that ends in "/*", webhook:<name>, slack:<workspace>/<user> or slack:<workspace>/*
# expect 16:12 webhook.pager.format: unknown value "pagerdutty"; did you mean "pagerduty"? (permitted: standard, pagerduty, cloudevents)
# expect 18:1 slack.signing_secret_env: is required
# expect 19:21 slack.response_prefix: must end with "/"
datacenter = "dc1"
server_config {
  route_rule {
    uris           = ["slack:T0001/U0002", "slack:T0001", "slack:T0001/*"]
    name           = "chat"
    method         = "POST"
    route_patterns = ["/v1/triggers/slack"]
  }
}
webhook "pager" {
  secret_env = "PAGER"
  format = "pagerdutty"
}
slack {
  response_prefix = "https://hooks.slack-gov.com"
}
