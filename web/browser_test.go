package web_test

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// browser opens a tab of a real Chromium, with scripts switched off and a
// narrow window.
func browser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("chromium is not installed")
		}
		t.Skip("chromium is not installed")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WSURLReadTimeout(5*time.Minute))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(320, 640)); err != nil {
		t.Fatal(err)
	}
	off := emulation.SetScriptExecutionDisabledParams{Value: true}
	if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, off); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(ctx, 5*time.Minute) // rather than hang
	t.Cleanup(cancel)
	return ctx
}

func TestInABrowserWithoutScripts(t *testing.T) {
	ctx := browser(t)
	d := newDoor(t)
	address, stop := serve(t, d)
	site := "http://" + address
	heading := func(want string, steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, steps...); err != nil {
			t.Fatal(err)
		}
		got, err := chromedp.Run(ctx, chromedp.TextContent(chromedp.CSS("h1")))
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("heading %q, want %q", got, want)
		}
	}
	click := func(selector, then string) chromedp.Action[chromedp.Void] {
		return chromedp.Steps(chromedp.Click(chromedp.CSS(selector)), chromedp.WaitReady(chromedp.CSS(then)))
	}

	heading("Bekræft din tilmelding", chromedp.Navigate(site+"/confirm/open?lang=da"))
	if n := d.desk.changes(); n != 0 {
		t.Fatalf("looking made %d changes", n)
	}
	box, err := chromedp.Run(ctx, chromedp.Dimensions(chromedp.CSS("button")))
	if err != nil {
		t.Fatal(err)
	}
	if box.Height < 44 || box.Width < 200 || box.Width > 320 {
		t.Errorf("the button is %d x %d pixels: is the style sheet at work?", box.Width, box.Height)
	}
	heading("Tak, det er bekræftet", click("button", ".mark"))
	heading("You have already confirmed", click("a[hreflang=en]", "html[lang=en] .mark"))

	heading("Sie sind abgemeldet", chromedp.Navigate(site+"/unsubscribe/open?lang=de"), click("button[value=all]", ".mark"))

	typing := chromedp.SendKeys(chromedp.CSS("#address"), "marie@example.dk")
	heading("Anmäl dig till ”Garden letter”", chromedp.Navigate(site+"/signup/garden?lang=sv"), typing, click("button", ".errors"))
	heading("Titta i din inkorg", chromedp.Click(chromedp.CSS("#agreed")), click("button", ".mark"))

	if err := stop(); err != nil {
		t.Error(err)
	}
	if len(d.desk.confirms) != 1 || len(d.desk.leaves) != 1 || d.desk.leaves[0] != "open all" {
		t.Errorf("confirmed %d, left %v", len(d.desk.confirms), d.desk.leaves)
	}
	if len(d.desk.signUps) != 1 || d.desk.signUps[0].Address != "marie@example.dk" {
		t.Errorf("%d sign-ups", len(d.desk.signUps))
	}
}
