# Takes an errant server out of its load balancer's pool, and brings it back when it is healthy.
# Refused (too_few_servers) when it would leave fewer than the pool's min_servers.
task_queue_target = "node"
timeout           = "24h"

input "pool" {
  type     = "string"
  required = true
}
input "via" {
  type = "object"
  field "node" { type = "string" }
  field "node_type" { type = "string" }
}
input "check" {
  type = "object"
  field "url" {
    type     = "url"
    required = true
  }
  field "expectStatus" { type = "number" }
  field "timeout" {
    type    = "string"
    pattern = "^([0-9]+(ms|s|m|h))+$"
  }
}
input "drain_for" {
  type    = "string"
  default = "30s"
  pattern = "^([0-9]+(ms|s|m|h))+$"
}
input "return_within" {
  type    = "string"
  pattern = "^([0-9]+(ms|s|m|h))+$"
}
input "healthy_for" {
  type    = "string"
  default = "30s"
  pattern = "^([0-9]+(ms|s|m|h))+$"
}
input "serve_within" {
  type    = "string"
  default = "2m"
  pattern = "^([0-9]+(ms|s|m|h))+$"
}
input "min_servers" { type = "number" }
input "dry_run" { type = "bool" }

# A node that is out is not taken out again.
constraint {
  kind  = "concurrency"
  value = 1
  per   = "node"
}

# A server that goes in and out is not healed by this.
constraint {
  kind   = "maxExecution"
  value  = 6
  period = "1h"
  per    = "node"
}
