# Reboots a node by a command of its own allow-list: out of its pool, reboot, healthy again, back.
task_queue_target = "node"
timeout           = "1h"

input "command" {
  type    = "string"
  default = "reboot"
}
input "params" {
  type   = "object"
  values = "string"
}
input "within" {
  type    = "string"
  default = "15m"
  pattern = "^([0-9]+(ms|s|m|h))+$"
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
input "verify_for" {
  type    = "string"
  default = "5m"
  pattern = "^([0-9]+(ms|s|m|h))+$"
}
input "pool" { type = "string" }
input "via" {
  type = "object"
  field "node" { type = "string" }
  field "node_type" { type = "string" }
}
input "drain_for" {
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

# Nothing else is done to a node that reboots.
constraint { kind = "exclusive" }

# One at a time in a datacenter.
constraint {
  kind  = "concurrency"
  value = 1
}

# A node that needs more needs a human.
constraint {
  kind   = "maxExecution"
  value  = 2
  period = "24h"
  per    = "node"
}

# After two that did not come back well, somebody has to look before there is a third.
constraint {
  kind   = "maxFailure"
  value  = 2
  period = "24h"
}
