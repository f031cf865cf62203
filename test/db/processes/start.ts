/** A process that opens a database as a tracker does at its start, and closes it. Argument: the options as JSON. */
import assert from 'node:assert/strict';
import { openDatabase } from '../../../tracker/db/client.ts';
import type { DatabaseOptions } from '../../../tracker/db/model.ts';

const [optionsText] = process.argv.slice(2);
assert(optionsText !== undefined);
const options = JSON.parse(optionsText) as DatabaseOptions; // The test that starts this process wrote them.
const database = await openDatabase(options);
assert.equal(database.state().kind, 'up');
await database.close();
