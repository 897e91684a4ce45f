import { VersusError } from '../../core/errors.ts';

/** A repository's id as the hub allows it: `name` or `owner/name` of letters, digits, `-`, `_`, `.`. */
const ID = /^[A-Za-z0-9][\w.-]{0,94}[A-Za-z0-9](\/[A-Za-z0-9]([\w.-]{0,94}[A-Za-z0-9])?)?$/;
/** A branch, a tag, `refs/pr/1` or a commit. */
const REVISION = /^\w[\w./-]{0,199}$/;
const COMMIT = /^[0-9a-f]{40}$/;
/** One segment of a file's path; no dot at its start, so that nothing hides and nothing climbs. */
const SEGMENT = /^[\w(][\w .+()=@,-]{0,199}$/;
/** Windows opens a device by these, whatever their ending. */
const DEVICE = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;
/** What a model is made of here. Nothing that a machine executes, and no pickles, which do. */
const KINDS = /\.(safetensors|json|onnx|txt|onnx_data(_\d+)?|onnx\.data)$/;

/** @throws VersusError `usage` for an id or a revision that the hub doesn't know and a path could be made of */
export function checkNames(id: string, revision: string): void {
  const where = `hub(${JSON.stringify(id)}, ${JSON.stringify(revision)})`;
  if (typeof id !== 'string' || !ID.test(id) || /\.\.|--/.test(id)) {
    throw new VersusError('usage', 'this is no id of a model on the hub', {
      where,
      next: "write it as 'owner/name'",
    });
  }
  if (typeof revision !== 'string' || !REVISION.test(revision) || /\.\.|\/\/|\/$/.test(revision)) {
    throw new VersusError('usage', 'this is no revision', {
      where,
      next: 'name a commit (best: it never changes), a tag or a branch such as main',
    });
  }
}

/** Whether a revision is a commit, which never changes. */
export function isCommit(revision: string): boolean {
  return COMMIT.test(revision);
}

/** Whether a path of a listing can be a file of a model here: plain segments and a kind that is only data. */
export function isModelFile(path: string): boolean {
  const segments = path.split('/');
  const plain = (s: string): boolean => SEGMENT.test(s) && !s.endsWith('.') && !DEVICE.test(s);
  return segments.length <= 8 && segments.every(plain) && KINDS.test(path);
}

/** The folder of a repository; `/` cannot be in a file's name and `--` not in an id. */
export function folderOf(id: string): string {
  return `models--${id.replace('/', '--')}`;
}

/** A path in a URL, segment by segment. */
export function urlPath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
