# expect 8:15 temporal.http_url: http://temporal.example.org:7243 would be reached unencrypted: use https://, or add plaintext = true to the temporal block to accept it
datacenter = "dc1"
server_config {
  enable_tls = false
}
temporal {
  namespace = "ops"
  http_url  = "http://temporal.example.org:7243"
}
