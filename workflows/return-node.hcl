# Brings a node back into its load balancer's pool, once it is healthy.
task_queue_target = "node"
timeout           = "30m"

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
  type     = "object"
  required = true
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
input "verify_for" {
  type    = "string"
  default = "1m"
  pattern = "^([0-9]+(ms|s|m|h))+$"
}
input "serve_within" {
  type    = "string"
  default = "2m"
  pattern = "^([0-9]+(ms|s|m|h))+$"
}
input "healthy_for" {
  type    = "string"
  default = "10s"
  pattern = "^([0-9]+(ms|s|m|h))+$"
}
input "dry_run" { type = "bool" }

constraint {
  kind  = "concurrency"
  value = 1
  per   = "node"
}

# What has to be returned again and again is not well.
constraint {
  kind   = "maxExecution"
  value  = 6
  period = "1h"
  per    = "node"
}
