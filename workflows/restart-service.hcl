# Restarts a service on one node by commands of that node's own allow-list, from the mildest on, and checks that it helped.
task_queue_target = "node"
timeout           = "15m"

input "command" {
  type     = "string"
  required = true
}
input "params" { type = "object" }
input "next" { type = "object" }
input "from" {
  type    = "string"
  pattern = "^(reload|restart|stop-kill-start)$"
}
input "dry_run" { type = "bool" }
input "check" {
  type     = "object"
  required = true
}
input "verify_for" {
  type    = "string"
  default = "30s"
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
