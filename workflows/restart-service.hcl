# Restarts a service on one node by commands of that node's own allow-list, from the mildest on, and checks that it helped.
task_queue_target = "node"
timeout           = "15m"

# The host runs only commands that its worker.hcl binds to this workflow; one_of = ["…"] here narrows that further.
input "command" {
  type     = "string"
  required = true
}
input "params" {
  type   = "object"
  values = "string"
}
# What is tried next when it did not help.
input "next" {
  type = "object"
  field "command" {
    type     = "string"
    required = true
  }
  field "params" {
    type   = "object"
    values = "string"
  }
  field "next" {
    type      = "object"
    recursive = true
  }
}
input "from" {
  type   = "string"
  one_of = ["reload", "restart", "stop-kill-start"]
}
input "dry_run" { type = "bool" }
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
  default = "30s"
  pattern = "^([0-9]+(ms|s|m|h))+$"
}
# For how long it has to stay healthy: a service that crashes again and again answers now and then.
input "healthy_for" {
  type    = "string"
  default = "5s"
  pattern = "^([0-9]+(ms|s|m|h))+$"
}

# One restart at a time on a node.
constraint {
  kind   = "concurrency"
  value  = 1
  period = "15m"
  per    = "node"
}

# More than this is no remedy any more: a human has to look.
constraint {
  kind   = "maxExecution"
  value  = 30
  period = "1h"
}
