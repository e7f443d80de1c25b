# expect 11:15 temporal.plaintext: plaintext = true and ca_file are mutually exclusive
node       = "web-1"
datacenter = "dc1"
coordinator {
  url       = "http://192.0.2.7:8787"
  plaintext = true
}
temporal {
  address   = "192.0.2.7:7233"
  ca_file   = "temporal-ca.pem"
  plaintext = true
}
