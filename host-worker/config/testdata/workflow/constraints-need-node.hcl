# expect 5:10 constraint[0].kind: exclusive needs task_queue_target = "node"
# expect 8:11 constraint[1].kind: maxUnavailable needs task_queue_target = "node"
task_queue_target = "datacenter"
constraint {
  kind = "exclusive"
}
constraint {
  kind  = "maxUnavailable"
  value = 1
}
constraint {
  kind   = "maxFailure"
  value  = "2"
  period = "1h"
}
