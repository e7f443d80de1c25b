# expect 5:3 receiver.oncall.slack: not available in this version
# expect 8:3 receiver.pager.pagerduty: not available in this version
datacenter = "dc1"
receiver "oncall" {
  slack { channel = "#ops" }
}
receiver "pager" {
  pagerduty { routing_key_env = "KEY" }
}
