# expect 6:16 constraint[0].per: per = "node" needs task_queue_target = "node"
# expect 7:16 constraint[0].period: must be at most 744h
constraint {
  kind       = "maxExecution"
  value      = 1
  per        = "node"
  period     = "745h"
}
task_queue_target = "datacenter"
