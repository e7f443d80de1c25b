# The worker of this host: resile-worker.service reads this file.
# Check it with: resile check --project /etc/resile
#
# node       = "web-1"
# datacenter = "ams"
#
# coordinator {
#   url       = "https://coordinator.example.org:8443"
#   ca_file   = "certs/ca.pem"
#   cert_file = "certs/worker.pem"
#   key_file  = "certs/worker-key.pem"
# }
#
# command "restart-nginx" {
#   argv      = ["/usr/bin/systemctl", "restart", "nginx.service"]
#   workflows = ["restart-service"]
# }
