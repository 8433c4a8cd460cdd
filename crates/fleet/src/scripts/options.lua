-- The options by which processes use one limiter or one reputation: lines of `ms options`, ms being when a process was
-- last seen to have them.
--
-- KEYS  the options
-- ARGV  deadline (us of this clock, 0 for none), the options of this process, for how many ms they count
-- Reply this clock (us), and options of another process that differ, or ''. The clock alone after the deadline, and nothing
--       was changed.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local deadline, own, counts_for = ARGV[1] + 0, ARGV[2], ARGV[3] + 0
if deadline > 0 and now > deadline then return {now} end
local ms = math.floor(now / 1000)
local kept, other = {string.format('%.0f %s', ms, own)}, ''
for line in string.gmatch(redis.call('GET', KEYS[1]) or '', '[^\n]+') do
  local at, options = string.match(line, '^(%d+) (.*)$')
  if at and options ~= own and ms - at < counts_for and #kept < 16 then
    kept[#kept + 1] = line
    other = options
  end
end
redis.call('SET', KEYS[1], table.concat(kept, '\n'), 'PX', ARGV[3])
return {now, other}
