datacenters = ["ams", "fra"]
server_config {
  enable_tls          = true
  listen              = "0.0.0.0:8443"
  hosts               = ["resile.example.org"]
  cert_file           = "/etc/resile/server.pem"
  key_file            = "/etc/resile/server-key.pem"
  client_ca_file      = "/etc/resile/ca.pem"
  crl_file            = "/etc/resile/ca.crl"
  trust_domains       = ["example.org"]
  worker_id           = "spiffe://example.org/worker/{node}"
  requests_per_second = 50
  route_rule {
    name           = "operators"
    method         = "*"
    route_patterns = ["/v1/workflows/*/executions", "/"]
    uris           = ["spiffe://example.org/ops", "spiffe://example.org/team/*", "webhook:ci", "slack:T0001/U0002", "slack:T0001/*"]
    allow_public   = false
    skip_log_match = false
  }
}
temporal {
  namespace    = "default"
  address      = "[::1]:7233"
  http_url     = "https://temporal.example.org/api"
  ca_file      = "temporal-ca.pem"
  cert_file    = "temporal.pem"
  key_file     = "temporal-key.pem"
  server_name  = "temporal.internal"
  api_key_file = "temporal.token"
  plaintext    = false
}
webhook "ci" {
  secret_env = "CI_SECRET"
}
webhook "alerts" {
  secret_file = "/etc/resile/alerts.secret"
  workflow    = "restart-service"
}
webhook "pager" {
  secret_env = "PAGER_SECRET"
  format     = "pagerduty"
  workflow   = "restart-service"
}
slack {
  signing_secret_file = "/etc/resile/slack.secret"
  response_prefix     = "https://hooks.slack-gov.com/"
}
permits { key_file = "/etc/resile/permit-keys.json" }
receiver "oncall" {
  webhook {
    url        = "https://hooks.example.org/resile"
    secret_env = "ONCALL_SECRET"
  }
}
receiver "pager" {
  webhook {
    url         = "http://10.0.0.9:8080/"
    secret_file = "/etc/resile/pager.secret"
  }
}
receiver "alerts" {
  alertmanager { url = "http://127.0.0.1:9093/prefix" }
}
receiver "chat" {
  slack { url_file = "/etc/resile/chat.url" }
}
receiver "duty" {
  pagerduty {
    routing_key_env = "DUTY_KEY"
    url             = "https://events.eu.pagerduty.com/v2/enqueue"
  }
}
