#!/usr/bin/env node
// The one JavaScript file: registers the TypeScript loader and hands over to the command line.
import { register } from 'tsx/esm/api';

register();
const { main } = await import('./cli.ts');
await main(process.argv);
