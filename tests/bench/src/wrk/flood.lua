-- Sends random tokens, none of them twice, and in every tenth request one from the file, whose lines are those of
-- pool.lua. The second argument is the seed.
local good, count, current = {}, 0, 0

function init(args)
  for line in io.lines(args[1]) do
    local path, authorization = line:match("^(%S+) (.*)$")
    good[#good + 1] = wrk.format("GET", path, { Authorization = authorization })
  end
  math.randomseed(tonumber(args[2]))
  current = math.random(#good)
end

function request()
  count = count + 1
  if count % 10 == 0 then
    current = current % #good + 1
    return good[current]
  end
  local token = string.format("Bearer bad-%08x%08x%08x", math.random(0, 0x7fffffff), math.random(0, 0x7fffffff), count)
  return wrk.format("GET", "/bookings", { Authorization = token })
end

