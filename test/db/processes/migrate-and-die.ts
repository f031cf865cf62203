/**
 * A process that brings a database up to date and dies by SIGKILL right after one of the steps.
 * Arguments: the database's options as JSON, the name of the step.
 */
import assert from 'node:assert/strict';
import { migrate, migrationSteps } from '../../../tracker/db/migrations.ts';
import { defaultTiming, driverOf, type DatabaseOptions } from '../../../tracker/db/model.ts';
import { openMysql } from '../../../tracker/db/mysql.ts';
import { openSqlite } from '../../../tracker/db/sqlite.ts';

const [optionsText, fatalStep] = process.argv.slice(2);
assert(optionsText !== undefined);
const options = JSON.parse(optionsText) as DatabaseOptions; // The test that starts this process wrote them.
const database =
  options.kind === 'mysql'
    ? openMysql(options, defaultTiming).knex
    : await openSqlite(options, defaultTiming);

await migrate(
  database,
  driverOf(options.kind),
  migrationSteps.map((step) => ({
    name: step.name,
    async up(connection, driver) {
      await step.up(connection, driver);
      if (step.name === fatalStep) process.kill(process.pid, 'SIGKILL');
    },
  })),
);
