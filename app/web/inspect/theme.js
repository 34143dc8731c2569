// Before anything is drawn: the theme that was chosen, else that of the system.

'use strict';

try {
  const chosen = localStorage.getItem('greenroom-theme');
  if (chosen === 'light' || chosen === 'dark')
    document.documentElement.dataset.theme = chosen;
} catch {
  // No storage here: the system's theme it is.
}
