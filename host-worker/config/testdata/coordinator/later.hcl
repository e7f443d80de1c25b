# expect 4:1 receiver: not available in this version
# expect 7:1 receiver: not available in this version
datacenter = "dc1"
receiver "oncall" {
  slack { channel = "#ops" }
}
receiver "mail" {
}
