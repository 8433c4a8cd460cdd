-- Bans that processes share, and failures that count together.
--
-- KEYS  the bans: a hash from client or range to `end pastBans quietPeriod failures reason`, end in ms of this clock or -1,
--       with the fields #epoch and #version; their ends: a sorted set; the failures of the target: doubles, ms and count
-- ARGV  operation, channel, name of the process, target, then
--         hello: an epoch, for a hash that has none
--         ban: ms until its end or -1, what follows the end in its value, within how many ms the ban in its place ends that is
--           replaced by a shorter one too: -1 any, -2 none
--         unban: within how many ms the ban ends that is lifted: -1 any, -2 none, for the value in force
--         fail: failures, how many ban, for how many ms each counts
--         forgive: nothing
-- Reply this clock (ms), then of hello: epoch, version; of ban and unban: version, the value in force or ''; of fail: 1 where
--       the failures ban
-- Every change is published as `version clock process target value`, without a value where the ban was lifted.
local call, DAY = redis.call, 86400000
-- Two machines that ban one client by the same cause do not replace each other's ban.
local EQUAL = 1000
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local bans, ends, failures = KEYS[1], KEYS[2], KEYS[3]
local operation, channel, process, target = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local function text(number) return string.format('%.0f', number) end

if operation == 'forgive' then return {now, call('DEL', failures)} end
if operation == 'fail' then
  -- They were counted before the ban, which has used them up.
  local stop = tonumber(string.match(call('HGET', bans, target) or '', '^%S+'))
  if stop and (stop < 0 or stop > now) then return {now, 0} end
  local count, most, counts_for = ARGV[5] + 0, ARGV[6] + 0, ARGV[7] + 0
  local value, kept, sum = call('GET', failures) or '', {}, count
  for i = 1, #value, 16 do
    local at, each = struct.unpack('<dd', value, i)
    if now - at < counts_for then
      kept[#kept + 1] = {at, each}
      sum = sum + each
    end
  end
  if sum >= most then
    call('DEL', failures)
    return {now, 1}
  end
  local last = kept[#kept]
  if last and most > 32 and now - last[1] < counts_for / 32 then last[2] = last[2] + count
  else kept[#kept + 1] = {now, count} end
  for i, moment in ipairs(kept) do kept[i] = struct.pack('<dd', moment[1], moment[2]) end
  call('SET', failures, table.concat(kept), 'PX', text(counts_for))
  return {now, 0}
end

-- Both keys live a day longer than the last ban.
local function keep()
  local last = call('ZREVRANGE', ends, 0, 0, 'WITHSCORES')[2]
  for _, key in ipairs({bans, ends}) do
    if last == 'inf' then call('PERSIST', key)
    else call('PEXPIREAT', key, text(math.max(tonumber(last or 0), now) + DAY)) end
  end
end

for _, ended in ipairs(call('ZRANGEBYSCORE', ends, '-inf', text(now), 'LIMIT', 0, 64)) do
  call('HDEL', bans, ended)
  call('ZREM', ends, ended)
end
if operation == 'hello' then
  if call('HSETNX', bans, '#epoch', ARGV[5]) == 1 then call('HSET', bans, '#version', 0) end
  keep()
  return {now, call('HGET', bans, '#epoch'), tonumber(call('HGET', bans, '#version') or 0)}
end

local value = call('HGET', bans, target)
local stop = value and tonumber(string.match(value, '^%S+'))
if stop and stop >= 0 and stop <= now then value, stop = false, nil end

local function ends_within(ms) return ms == -1 or (ms >= 0 and stop >= 0 and stop <= now + ms + EQUAL) end

local function unchanged() return {now, tonumber(call('HGET', bans, '#version') or 0), value or ''} end

local function changed(value)
  local version = call('HINCRBY', bans, '#version', 1)
  keep()
  call('PUBLISH', channel, table.concat({text(version), text(now), process, target, value}, ' '))
  return {now, version, value}
end

if operation == 'unban' then
  if not stop or not ends_within(ARGV[5] + 0) then return unchanged() end
  call('HDEL', bans, target)
  call('ZREM', ends, target)
  return changed('')
end
local remaining = ARGV[5] + 0
local wanted = remaining < 0 and -1 or now + remaining
call('DEL', failures)
if stop and not ends_within(ARGV[7] + 0) and (stop < 0 or (wanted >= 0 and wanted <= stop + EQUAL)) then
  return unchanged()
end
value = text(wanted) .. ' ' .. ARGV[6]
call('HSET', bans, target, value)
call('ZADD', ends, wanted < 0 and '+inf' or text(wanted), target)
return changed(value)
