// Answers what Kubernetes' CronJob controller would be answered by robfig/cron v3, one line for each line of input:
//
//	next|EXPRESSION|ZONE|AFTER|COUNT   the next COUNT times; fewer where there are none
//	last|EXPRESSION|ZONE|SINCE|UNTIL   the last time of the walk from SINCE that is not after UNTIL
//	parse|EXPRESSION                   nothing
//
// Times are seconds since 1970, separated by spaces; an expression that is not accepted answers "error: ...".
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	for lines.Scan() {
		fmt.Fprintln(out, answer(strings.Split(lines.Text(), "|")))
		out.Flush()
	}
}

func answer(words []string) string {
	expression := words[1]
	if words[0] != "parse" {
		expression = fmt.Sprintf("TZ=%s %s", words[2], expression) // as the controller puts it together
	}
	schedule, err := cron.ParseStandard(expression)
	if err != nil {
		return "error: " + err.Error()
	}
	var found []string
	switch words[0] {
	case "next":
		t := moment(words[3])
		for count := number(words[4]); count > 0; count-- {
			if t = schedule.Next(t); t.IsZero() {
				break
			}
			found = append(found, strconv.FormatInt(t.Unix(), 10))
		}
	case "last":
		until := moment(words[4])
		for t := schedule.Next(moment(words[3])); !t.IsZero() && !t.After(until); t = schedule.Next(t) {
			found = []string{strconv.FormatInt(t.Unix(), 10)}
		}
	}
	return strings.Join(found, " ")
}

func moment(text string) time.Time {
	return time.Unix(number(text), 0).UTC()
}

func number(text string) int64 {
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic(err)
	}
	return value
}
