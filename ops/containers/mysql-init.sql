-- The application makes its databases itself, and may touch no others. `_` is escaped: unescaped it is any character.
GRANT ALL ON `tributary\_%`.* TO 'tributary'@'%';
