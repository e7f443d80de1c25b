# expect 7:17 syntax: Missing newline after argument; An argument definition must end with a newline.
# expect 9:3 constraint[0].knd: unknown key; did you mean "kind"?
# expect 10:16 syntax: Invalid multi-line string; Quoted strings may not be split over multiple lines.
# expect 15:11 constraint[1].value: expected a whole number, quoted or not
# expect 16:12 syntax: Invalid expression; Expected the start of an expression, but found an invalid expression token.
# expect 19:11 timeout: must be at most 24h
valid_for= "1m" mode = "auto"
constraint {
  knd   = "concurrency"
  period = "15m
  value = 1
}
constraint {
  kind  = "maxExecution"
  value = "many"
  period = 
}

timeout = "25h"
