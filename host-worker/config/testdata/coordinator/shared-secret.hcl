# expect 8:16 webhook.two.secret_env: is that of webhook one; each needs its own secret
datacenter = "dc1"
webhook "one" {
  secret_env = "SHARED"
  workflow   = "restart"
}
webhook "two" {
  secret_env = "SHARED"
  workflow   = "wipe"
}
