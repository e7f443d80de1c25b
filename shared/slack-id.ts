/**
 * The identity of a Slack user, as callers and route rules name it: `slack:<workspace>/<user>`.
 *
 * @see https://docs.slack.dev/reference/objects/user-object, `id` and `team_id`
 */
const ID = /^[A-Z0-9]{2,32}$/
const PATTERN = /^slack:[A-Z0-9]{2,32}\/(?:\*|[A-Z0-9]{2,32})$/

/** The name of a user of a workspace; null when one of the two is no id. */
export function slackCaller(team: string, user: string): string | null {
  return ID.test(team) && ID.test(user) ? `slack:${team}/${user}` : null
}

/** Whether a text names a user of Slack, or with `*` all of a workspace. */
export function isSlackPattern(text: string): boolean {
  return PATTERN.test(text)
}
