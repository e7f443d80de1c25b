# expect 13:11 constraint[1].value: exclusive has no value
# expect 17:11 constraint[2].value: must be at least 1
# expect 21:12 constraint[3].value: expected a whole number, quoted or not
# expect 27:15 constraint[4].is_global: maxFailure has no is_global
# expect 30:11 constraint[5].value: expected a whole number, quoted or not
task_queue_target = "node"
constraint {
  kind  = "maxUnavailable"
  value = "10%"
}
constraint {
  kind  = "exclusive"
  value = 1
}
constraint {
  kind  = "maxUnavailable"
  value = 0
}
constraint {
  kind   = "concurrency"
  value  = "10%"
}
constraint {
  kind      = "maxFailure"
  value     = 2
  period    = "1h"
  is_global = true
}
constraint {
  value = "0%"
  kind  = "maxUnavailable"
}
