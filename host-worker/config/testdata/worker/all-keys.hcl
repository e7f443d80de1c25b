node       = "web-1"
datacenter = "dc1"
types      = ["web", "cache"]
labels     = { rack = "r1", "row.number" = "7" }
coordinator { url = "http://127.0.0.1:8787" }
temporal {
  address   = "127.0.0.1:7233"
  namespace = "ops"
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
