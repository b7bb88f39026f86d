// The lucide icons the page uses; build.mjs puts them into one sprite. Names are lucide's.
export default [
  'activity', 'archive', 'arrow-down-to-line', 'arrow-left', 'arrow-up', 'ban', 'bell', 'calendar-clock', 'check', 'chevron-down', 'chevron-left',
  'chevron-right', 'chevron-up', 'circle', 'circle-alert', 'circle-check', 'circle-dashed', 'circle-help', 'circle-pause',
  'circle-play', 'circle-slash', 'circle-x', 'clock', 'cloud-off', 'copy', 'corner-down-left', 'cpu', 'database', 'download',
  'ellipsis', 'external-link', 'eye', 'eye-off', 'file-text', 'fold-vertical', 'git-branch', 'git-fork', 'hard-drive', 'history', 'info', 'key-round',
  'keyboard', 'languages', 'layers', 'layout-dashboard', 'link', 'list-filter', 'list-tree', 'lock', 'log-out', 'maximize', 'minimize',
  'monitor', 'moon', 'network', 'package', 'palette', 'pause', 'play', 'plug-zap', 'plus', 'refresh-cw', 'rotate-cw', 'scroll-text', 'search', 'server',
  'settings', 'shield-alert', 'shield-check', 'square', 'star', 'sun', 'terminal', 'trash-2', 'triangle-alert', 'unplug',
  'unfold-vertical', 'upload', 'user', 'workflow', 'wrap-text', 'x', 'zap',
];
