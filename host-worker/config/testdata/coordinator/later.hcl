# expect 5:1 webhook: not available in this version
# expect 8:1 receiver: not available in this version
# expect 11:1 receiver: not available in this version
datacenter = "dc1"
webhook "ci" {
  secret_env = "CI_SECRET"
}
receiver "oncall" {
  slack { channel = "#ops" }
}
receiver "mail" {
}
