# The coordinator of a datacenter: resile-coordinator.service reads this file. Nothing is authorised until a rule says so.
# Check it with: resile check --project /etc/resile
#
# datacenter = "ams"
#
# temporal {
#   http_url   = "https://temporal.example.org:7243"
#   namespace  = "resile-ams"
#   ca_file    = "certs/temporal-ca.pem"
#   cert_file  = "certs/temporal.pem"
#   key_file   = "certs/temporal-key.pem"
# }
#
# server_config {
#   listen     = "0.0.0.0:8443"
#   enable_tls = true
#
#   route_rule {
#     name           = "operators"
#     method         = "*"
#     route_patterns = ["/*"]
#     uris           = ["spiffe://example.org/operator/*"]
#   }
# }
