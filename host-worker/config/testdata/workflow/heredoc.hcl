task_queue_target = "node"
input "motd" {
  type    = "string"
  default = <<-END
    Kept as it is: "quotes", \n, $${dollar}.

      Deeper.
    END
}
