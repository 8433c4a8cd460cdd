-- Takes units for clients of one limiter that has a single GCRA limit.
--
-- KEYS  the clients, each once
-- ARGV  deadline (us of this clock, 0 for none), emission interval (ticks), capacity (ticks), ticks per us, time to live
--       (ms), numbers for each client, then these: 0, each calls once at a cost of 1; 1, calls at a cost of 1; 2, calls and
--       the cost of each
-- Value three doubles: when it was written (us), what was left of a block then (us), the debt then (ticks)
-- Reply this clock, then for each client: calls granted, and its debt before them (ticks). In place of the calls: -1, the key
--       holds something else; less, it is blocked for the rest (us). The clock alone after the deadline, and nothing was
--       charged.
local call, pack, unpk, floor = redis.call, struct.pack, struct.unpack, math.floor
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local deadline = ARGV[1] + 0
if deadline > 0 and now > deadline then return {now} end
local interval, capacity, per_us, width = ARGV[2] + 0, ARGV[3] + 0, ARGV[4] + 0, ARGV[6] + 0
-- For several, a moment: the server need not make one of each.
local expiry, expires = 'PX', ARGV[5]
if #KEYS > 3 then expiry, expires = 'PXAT', string.format('%.0f', floor(now / 1000) + ARGV[5]) end
local values, reply = call('MGET', unpack(KEYS)), {now}
for i, key in ipairs(KEYS) do
  local value, calls, cost = values[i], 1, 1
  if width > 0 then calls = ARGV[7 + width * (i - 1)] + 0 end
  if width > 1 then cost = ARGV[6 + width * i] + 0 end
  local at, block, debt, granted = now, 0, 0, -1
  if not value or #value == 24 then
    if value then
      at, block, debt = unpk('<ddd', value)
      if now > at then
        block = block - (now - at)
        debt = debt - (now - at) * per_us
      end
      if block < 0 then block = 0 end
      if debt < 0 then debt = 0 elseif debt > capacity then debt = capacity end
    end
    granted = 0
    if block == 0 then
      granted = floor((capacity - debt) / interval)
      if cost > 1 then granted = floor(granted / cost) end
      if granted > calls then granted = calls end
    end
    -- Where the clock was set back, what is owed drains from now on.
    if granted > 0 or at > now then
      local text = pack('<ddd', now, block, debt + granted * cost * interval)
      if block > 0 then
        call('SET', key, text, 'KEEPTTL')
      elseif value then
        call('SET', key, text, expiry, expires)
      -- MGET returns nothing for a key of another type, which must not be overwritten.
      elseif not call('SET', key, text, expiry, expires, 'NX') then
        granted = -1
      end
    end
    if block > 0 then granted = -1 - block end
  end
  reply[2 * i], reply[2 * i + 1] = granted, debt
end
return reply
