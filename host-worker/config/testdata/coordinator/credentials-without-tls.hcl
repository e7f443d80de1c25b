# expect 4:1 temporal.key_file: cert_file and key_file go together
# expect 5:17 temporal.http_url: must be an https:// URL, since the block has cert_file
datacenter = "dc1"
temporal {
  http_url    = "http://127.0.0.1:7243"
  cert_file   = "temporal.pem"
  server_name = "temporal.example.org"
}
