# expect 6:21 coordinator.url: http://192.0.2.7:8787 would be requested unencrypted: use https://, or add plaintext = true to the coordinator block to accept it
# expect 7:23 permits.jwks_urls: http://edge.example.org/jwks.json would be requested unencrypted
# expect 8:22 temporal.address: 192.0.2.7:7233 would be reached unencrypted: add ca_file = "FILE" to the temporal block
node       = "web-1"
datacenter = "dc1"
coordinator { url = "http://192.0.2.7:8787" }
permits { jwks_urls = ["http://127.0.0.1:1/jwks.json", "http://edge.example.org/jwks.json"] }
temporal { address = "192.0.2.7:7233" }
