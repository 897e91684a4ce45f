// Loads TypeScript in this process: `node --import src/loader.mjs`, or imported first.
import { register as registerHooks } from 'node:module';
import { register } from 'tsx/esm/api';

register();
// A folder without `"type": "module"` would make its .ts files CommonJS, which cannot import ours: here .ts is always ESM.
registerHooks('./loader-hooks.mjs', import.meta.url);
