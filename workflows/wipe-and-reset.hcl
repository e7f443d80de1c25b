# Makes a node new after an experiment, by the wipe and provision commands of its own allow-list.
# Waits for a human's approval: set mode = "auto" in a copy of your own to do without.
task_queue_target = "node"
mode              = "approve"
valid_for         = "1h"
timeout           = "6h"

input "wipe" {
  type    = "string"
  default = "wipe"
}
input "wipe_params" {
  type   = "object"
  values = "string"
}
input "provision" {
  type    = "string"
  default = "provision"
}
input "provision_params" {
  type   = "object"
  values = "string"
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
  default = "10m"
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

# Nothing else is done to a node that is wiped.
constraint { kind = "exclusive" }

# One at a time in a datacenter, and few a day.
constraint {
  kind  = "concurrency"
  value = 1
}
constraint {
  kind   = "maxExecution"
  value  = 5
  period = "24h"
}
constraint {
  kind   = "maxFailure"
  value  = 1
  period = "24h"
}
