task_queue_target = "node"
workflow_type     = "restartService"
mode              = "auto"
valid_for         = "10m"
timeout           = "1h"
workflow_queue    = "target"
/* one of
   each type */
input "unit" {
  type    = "string"
  default = "nginx"
  pattern = "^[a-z]+$"
}
input "count" {
  type     = "number"
  required = true
}
input "force" {
  type    = "bool"
  default = false
}
input "options" {
  type    = "object"
  default = { "a b" : [1, -2.5], c = null } // both separators
}
constraint {
  kind      = "concurrency"
  value     = 1
  is_global = true
}
constraint {
  kind   = "maxExecution"
  value  = 3
  period = "744h"
  per    = "node"
}
escalation { receiver = "oncall" }
