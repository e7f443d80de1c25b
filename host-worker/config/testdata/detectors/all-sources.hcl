detector "prometheus" {
  workflow = "drain"
  interval = "15s"
  jitter   = "2s"
  limit {
    triggers = 5
    per      = "10m"
  }
  prometheus {
    urls            = ["https://a.example.org:9090", "https://b.example.org:9090/prefix"]
    query           = "up == 0"
    max_series      = 100
    username        = "resile"
    password_file   = "password"
    ca_file         = "ca.pem"
    cert_file       = "cert.pem"
    key_file        = "key.pem"
  }
}
detector "port" {
  workflow = "drain"
  interval = "15s"
  tcp_check {
    address = "127.0.0.1:5432"
    timeout = "1s"
  }
}
detector "script" {
  workflow = "drain"
  interval = "15s"
  command_check { argv = ["/usr/lib/nagios/plugins/check_load", "-w", "5"] }
}
detector "lines" {
  workflow = "drain"
  target { node = "${labels.node}" }
  log {
    files   = ["/var/log/app/*.log"]
    pattern = "ERROR on (?P<node>[a-z0-9-]+)"
    count   = 5
    within  = "1m"
    from    = "beginning"
  }
}
detector "killed" {
  workflow = "drain"
  journal {
    kernel  = true
    pattern = "Out of memory: Killed process \\d+ \\((?P<process>[^)]+)\\)"
  }
}
detector "unit" {
  workflow = "drain"
  interval = "5s"
  journal {
    units       = ["nginx.service"]
    identifiers = ["nginx"]
    directory   = "/var/log/journal/remote"
    pattern     = "worker process \\d+ exited on signal"
  }
}
detector "nightly" {
  workflow = "drain"
  schedule {
    cron      = "30 3 * * *"
    time_zone = "Europe/Berlin"
    missed    = "once"
    retry_for = "1h"
  }
}
detector "alerted" {
  workflow = "drain"
  target { node = "${labels.instance_node}" }
  alert { labels = { alertname = "DiskFull", severity = "page" } }
}
detector "paged" {
  workflow = "drain"
  pagerduty {
    event_types = ["incident.triggered"]
    services    = ["PF9KMXH"]
    title       = "on (?P<node>[a-z0-9-]+)"
  }
}
detector "event" {
  workflow = "drain"
  cloudevent {
    type   = "org.example.disk.full"
    source = "/monitor"
  }
}
