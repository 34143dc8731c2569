// Screenshots of the tests, for people to look at: beside the binary, in
// `screenshots`, or where GREENROOM_SCREENSHOTS says.

import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

const folder = process.env.GREENROOM_SCREENSHOTS
  ?? (process.env.GREENROOM_BINARY
    ? join(dirname(process.env.GREENROOM_BINARY), 'screenshots') : '');

/** One picture of a page; none where there is no folder for it. */
export async function screenshot(page, name) {
  if (!folder)
    return;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`) });
}
