# What the detector watches: resile-detector.service reads this file.
# Check it with: resile check --project /etc/resile
#
# detector "web-errors" {
#   workflow = "restart-service"
#   interval = "15s"
#   target { node = "web-1" }
#   http_check { url = "http://127.0.0.1/healthz" }
# }
