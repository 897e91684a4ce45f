#!/usr/bin/env node
// Registers the TypeScript loader and hands over to the command line.
import './loader.mjs';

const { main } = await import('./cli.ts');
await main(process.argv);
