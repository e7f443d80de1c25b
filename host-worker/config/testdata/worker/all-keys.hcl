node       = "web-1"
datacenter = "dc1"
types      = ["web", "cache"]
labels     = { rack = "r1", "row.number" = "7" }
coordinator {
  url       = "https://coordinator.example.org:8443"
  ca_file   = "/etc/resile/ca.pem"
  cert_file = "/etc/resile/worker.pem"
  key_file  = "/etc/resile/worker-key.pem"
  plaintext = false
}
temporal {
  address      = "temporal.example.org:7233"
  namespace    = "ops"
  ca_file      = "/etc/resile/temporal-ca.pem"
  cert_file    = "/etc/resile/temporal.pem"
  key_file     = "/etc/resile/temporal-key.pem"
  server_name  = "temporal.internal"
  api_key_file = "/etc/resile/temporal.token"
  plaintext    = false
}
command "restart" {
  argv      = ["systemctl", "restart", "{unit}"]
  timeout   = "30s"
  params    = { unit = "^[a-z0-9@.-]+$" }
  read_only = false
}
command "uptime" {
  argv      = ["uptime"]
  read_only = true
}
permits {
  jwks_urls  = ["https://edge.example.org/.well-known/jwks.json"]
  jwks_files = ["/etc/resile/jwks.json"]
  plaintext  = false
}
metrics { listen = "127.0.0.1:9464" }
