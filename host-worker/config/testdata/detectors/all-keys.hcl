detector "sick" {
  workflow     = "restart-service"
  interval     = "15s"
  for          = "30s"
  clear_for    = "1m"
  repeat_after = "1h30m"
  target { node = "web-1" }
  input = { command = "restart", check = { url = "http://127.0.0.1:8080/" }, "for" = 1 }
  http_check {
    url           = "http://127.0.0.1:8080/"
    timeout       = "500ms"
    expect_status = 204
  }
}
detector "slow.disk" {
  workflow = "drain"
  interval = "1m"
  target {
    node       = "${ labels.node }"
    datacenter = "dc-${labels.dc}"
  }
  input = { why = "latency of ${value} s: ${annotations.summary}, not $${value}", list = ["${labels.disk}"] }
  prometheus {
    url     = "http://127.0.0.1:9090"
    query   = "rate(disk_seconds[5m]) > 0.5"
    timeout = "10s"
  }
}
