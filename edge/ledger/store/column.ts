/** Tables whose columns, statements and row mapping follow from one list of columns. */

/** A column, with the mapping between its stored and its typed value. */
export interface Column<Value> {
  name: string
  /** Type and constraints, as `ALTER TABLE … ADD COLUMN` takes them. */
  sql: string
  /** When it is written after the insert: by `admission`, by each `step` of the outbox, or `never` by a plain update. */
  updatedBy: 'admission' | 'step' | 'never'
  read(stored: SqlStorageValue): Value
  write(value: Value): SqlStorageValue
}

/** The columns of a table, by the property of the row that each holds. */
export type Columns<Row> = { readonly [Key in keyof Row]: Column<Row[Key]> }

/** The row type of a table. */
export type RowOf<Table> = { -readonly [Key in keyof Table]: Table[Key] extends Column<infer Value> ? Value : never }

type UpdatedBy = Column<unknown>['updatedBy']

/** A text column. */
export function text<Value extends string = string>(name: string, updatedBy: UpdatedBy = 'never'): Column<Value> {
  return {
    name,
    sql: "TEXT NOT NULL DEFAULT ''",
    updatedBy,
    read: (stored) => String(stored) as Value,
    write: (value) => value,
  }
}

/** A text column that may be null. */
export function nullableText(name: string, updatedBy: UpdatedBy = 'never'): Column<string | null> {
  return {
    name,
    sql: 'TEXT',
    updatedBy,
    read: (stored) => (stored === null ? null : String(stored)),
    write: (value) => value,
  }
}

/** A column of whole numbers, such as times in milliseconds since the epoch. */
export function integer(name: string, updatedBy: UpdatedBy = 'never'): Column<number> {
  return { name, sql: 'INTEGER NOT NULL DEFAULT 0', updatedBy, read: Number, write: (value) => value }
}

/** A column of whole numbers that may be null. */
export function nullableInteger(name: string, updatedBy: UpdatedBy = 'never'): Column<number | null> {
  return {
    name,
    sql: 'INTEGER',
    updatedBy,
    read: (stored) => (stored === null ? null : Number(stored)),
    write: (value) => value,
  }
}

/** A column of 0 and 1. */
export function flag(name: string, updatedBy: UpdatedBy = 'never'): Column<boolean> {
  return {
    name,
    sql: 'INTEGER NOT NULL DEFAULT 0',
    updatedBy,
    read: (stored) => stored === 1,
    write: (value) => (value ? 1 : 0),
  }
}

/** A column of JSON. */
export function json<Value>(name: string, updatedBy: UpdatedBy = 'never'): Column<Value> {
  return {
    name,
    sql: "TEXT NOT NULL DEFAULT 'null'",
    updatedBy,
    read: (stored) => JSON.parse(String(stored)) as Value,
    write: (value) => JSON.stringify(value),
  }
}

/** A column of JSON that is null for null. */
export function nullableJson<Value>(name: string, updatedBy: UpdatedBy = 'never'): Column<Value | null> {
  return {
    name,
    sql: 'TEXT',
    updatedBy,
    read: (stored) => (stored === null ? null : (JSON.parse(String(stored)) as Value)),
    write: (value) => (value === null || value === undefined ? null : JSON.stringify(value)),
  }
}

/** Reads a stored row. */
export function readRow<Row>(columns: Columns<Row>, stored: Record<string, SqlStorageValue>): Row {
  const pairs = entriesOf(columns).map(([key, column]) => [key, column.read(stored[column.name] ?? null)])
  return Object.fromEntries(pairs) as Row
}

/** The values of a row as they are stored, in the order of `keys`. */
export function writeRow<Row, Key extends keyof Row>(
  columns: Columns<Row>,
  row: Row,
  keys: readonly Key[],
): SqlStorageValue[] {
  return keys.map((key) => columns[key].write(row[key]))
}

/** The keys of the columns that one of the given updates writes. */
export function keysUpdatedBy<Row>(columns: Columns<Row>, ...by: readonly UpdatedBy[]): (keyof Row)[] {
  return entriesOf(columns).flatMap(([key, { updatedBy }]) => (by.includes(updatedBy) ? [key] : []))
}

/** Adds the columns that a table does not have yet. */
export function addMissingColumns<Row>(sql: SqlStorage, table: string, columns: Columns<Row>): void {
  const present = new Set(
    sql
      .exec<{ name: string }>('SELECT name FROM pragma_table_info(?)', table)
      .toArray()
      .map(({ name }) => name),
  )
  for (const [, column] of entriesOf(columns)) {
    if (!present.has(column.name)) sql.exec(`ALTER TABLE ${table} ADD COLUMN ${column.name} ${column.sql}`)
  }
}

function entriesOf<Row>(columns: Columns<Row>): [keyof Row, Column<unknown>][] {
  return Object.entries(columns) as [keyof Row, Column<unknown>][]
}
