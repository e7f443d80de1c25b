/** An activity as Temporal calls it: with one argument. */
export type Activity = (request: unknown) => Promise<unknown>

/** Puts something around each activity; their types stay as they are. */
export function wrapActivities<Activities extends object>(
  activities: Activities,
  wrap: (activity: Activity, name: string) => Activity,
): Activities {
  return Object.fromEntries(
    Object.entries(activities).map(([name, activity]: [string, Activity]) => [name, wrap(activity, name)]),
  ) as Activities
}
