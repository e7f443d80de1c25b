import type { DatabaseSync } from 'node:sqlite'

/** Bytes of a page, as SQLite has them by default. */
const PAGE = 4096

/**
 * Has a database in WAL mode take room for itself while there is some: on a disk that is full the order to free it has to
 * be written. Its log should be restarted after fewer pages than that (`wal_autocheckpoint`).
 *
 * @see https://sqlite.org/wal.html, "Avoiding Excessively Large WAL Files": a checkpointed log is overwritten, not cut
 * @throws Error when the disk is full already
 */
export function takeRoom(database: DatabaseSync, pages: number): void {
  database.exec(`
    CREATE TABLE IF NOT EXISTS room (bytes BLOB);
    INSERT INTO room VALUES (zeroblob(${pages * PAGE}));
    DROP TABLE room;
    PRAGMA wal_checkpoint(RESTART);
  `)
}
